"""How shallow, narrow and sparsely connected can a U-Net be and still separate music?"""

__version__ = "0.1.0"
