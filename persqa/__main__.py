"""`python -m persqa`: the same as `persqa`; the command line is found by name, as in `persqa.dataflow`."""

from persqa.own_code import own_module

own_module("producer.cli").main()
