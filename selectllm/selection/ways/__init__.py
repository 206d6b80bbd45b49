"""Ways of asking: one decision from the answers to several smaller questions.

One item at a time, two, or a few; a prompt's form of reply says which (ReplyFormat.shows).
"""
