"""Build the compiled kernels; pyproject.toml has everything else.

The kernels are optional: without a compiler the installation succeeds, and byzcode uses their torch versions.
"""

import runpy
from pathlib import Path

from setuptools import Extension, setup

PACKAGE = Path("src/byzcode")
RECIPE = PACKAGE / "provenance" / "compiled.py"

recipe = runpy.run_path(str(RECIPE))
paths = sorted(path for path in (PACKAGE / recipe["FOLDER"]).iterdir() if path.suffix in (".cpp", ".h"))
fingerprint = recipe["fingerprint"](
    {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in paths}
)

setup(
    ext_modules=[
        Extension(
            "byzcode.kernels._native",
            sources=[str(path) for path in paths if path.suffix == ".cpp"],
            depends=[str(path) for path in paths if path.suffix == ".h"] + [str(RECIPE)],
            define_macros=[(recipe["MACRO"], f'"{fingerprint}"')],
            extra_compile_args=list(recipe["FLAGS"]),
            language="c++",
            optional=True,
        )
    ]
)
