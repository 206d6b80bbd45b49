"""A number per item that stands for downstream quality, and its sources.

annotation/ holds sheets and raters; what picks capture of it is measured in evaluation/.
"""
