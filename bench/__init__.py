"""Measures this provider beside its peers; ``make bench`` runs it."""
