"""What picks are worth: suites, metrics/, comparison/, runs/, sets/ and planning/.

Nothing is asked from here but through selection/.
"""
