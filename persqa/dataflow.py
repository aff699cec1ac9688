"""`from persqa.dataflow import ...`: the address people know the operator by; `producer.dataflow` is the operator.

Found by name at run time, since nothing of `persqa` imports what stands above it; `dataflow.pyi` tells type checkers.
"""

import sys
from importlib import import_module

sys.modules[__name__] = import_module("producer.dataflow")
