"""Outcomes: what training on selected sets was worth elsewhere, and how far agreement foretold it.

training_sets   what can be trained on, by selector, budget and seed
export          training files of those sets, and the recipe to fill in
exported        what an exported folder says of its sets
formats         result files as other tools write them
results         the results for exported sets, as one file
importing       result files tied to the sets that they are of
scores          one number for every selector
agreement       whether a number that is had before training orders the selectors alike
validation      whether a utility's sums over random subsets do

Nothing is trained here: student/ and trials/ do that.
"""
