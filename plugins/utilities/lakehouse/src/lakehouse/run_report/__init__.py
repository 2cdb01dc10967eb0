"""The report of a run: what it moved, what is proven, what is to be known. As JSON, and as one HTML file that stands alone."""
