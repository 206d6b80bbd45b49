"""Figures of one arm: agreement of its picks with utilities, consistency over orders."""
