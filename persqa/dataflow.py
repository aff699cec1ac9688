"""`from persqa.dataflow import ...`: the documented address of the operator in `producer.dataflow`.

It is found by name at run time, since `persqa` imports nothing above itself; `dataflow.pyi` is for type checkers.
"""

import sys

from persqa.own_code import own_module

sys.modules[__name__] = own_module("producer.dataflow")
