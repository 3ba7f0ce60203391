from byzcode.errors import UserError as UserError
from byzcode.front import plot as plot
from byzcode.front import register as register
from byzcode.front.aggregate import aggregate as aggregate
from byzcode.front.aggregate import pre_aggregate as pre_aggregate
from byzcode.front.attack import attack as attack
from byzcode.front.code import allocate as allocate
from byzcode.front.code import decode as decode
from byzcode.front.code import encode as encode
from byzcode.front.compress import compress as compress
from byzcode.front.spec import spec as spec
from byzcode.front.study import study as study
from byzcode.front.train import train as train
from byzcode.specs.run import RunSpec as RunSpec

__version__: str

__all__ = [
    "RunSpec",
    "UserError",
    "__version__",
    "aggregate",
    "allocate",
    "attack",
    "compress",
    "decode",
    "encode",
    "plot",
    "pre_aggregate",
    "register",
    "spec",
    "study",
    "train",
]
