from pathlib import Path
from byzcode.figures.page import Drawing
from byzcode.figures.request import Request
def allocation(request: Request, results: Path) -> Drawing: raise NotImplementedError
