"""What the product is made of: locked packages, their licences, the bill of materials, and known weaknesses.

A tool of those who build the product, like `benchmarks`; no process of an installation imports it.
"""
