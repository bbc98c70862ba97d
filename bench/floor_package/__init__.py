"""An empty provider: what no provider can import in less time than."""
