"""From a reply to picks: one grammar per kind of reply.

Log-probabilities and constraints for decoders, too.
"""
