"""Figures of one arm: agreement of its picks with utilities, consistency over orders.

Pure; what two arms are against each other stands in comparison/.
"""
