"""Trials: a student trained on one set after another, each scored on the same held-out items.

training_set   what is trained on: selectors' sets, random ones, and ones of as many tokens
log            finished trials, kept in the cache, so that nothing is trained twice
train_sets     trains and scores what the log does not hold yet
blocks         values of single items, from students trained on blocks of the pool. Pure
study          from finished trials to compare.json. Pure
gains          what trials gained over the student before training. Pure
comparison     selectors' gains held against those of random sets. Pure

How a student learns and answers stands in student/.
"""
