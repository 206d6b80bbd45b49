"""Outcomes: what training on selected sets was worth elsewhere, and how far agreement foretold it.

training_sets   what can be trained on, by selector, budget and seed
exported        what an exported folder says of its sets
formats         result files as other tools write them
results         the results for exported sets, as one file
importing       result files tied to the sets that they are of
same_sets       whether results are of the very sets that a folder compares
scores          one number for every selector
rank_agreement  whether two numbers order a few things alike
agreement       whether a number that is had before training orders the selectors alike
validation      whether a utility's sums over random subsets do
by_utility      the same for each utility of compared sets
"""
