"""Two runs side by side: what their pairs picked of the clusters that both asked.

A description. Verdicts are given by the kinds of comparison/, within one run or against a baseline.
"""
