"""Build the compiled kernels; pyproject.toml has everything else.

The kernels are optional: without a compiler the installation succeeds, and byzcode uses their torch versions. They use
no Python API (byzcode loads them with ctypes), so one wheel per platform serves every Python.
"""

import runpy
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

PACKAGE = Path("src/byzcode")
RECIPE = PACKAGE / "provenance" / "compiled.py"

recipe = runpy.run_path(str(RECIPE))
paths = sorted(path for path in (PACKAGE / recipe["FOLDER"]).iterdir() if path.suffix in (".cpp", ".h"))
fingerprint = recipe["fingerprint"](
    {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in paths}
)


class Library(build_ext):
    """Name the library without the version of a Python."""

    def get_ext_filename(self, name: str) -> str:
        """The path of the library."""
        return str(Path(*name.split(".")).with_suffix(".so"))


class PlatformWheel(bdist_wheel):
    """Tag the wheel with its platform alone; "any" if there was no compiler, and so no library."""

    def get_tag(self) -> tuple[str, str, str]:
        """Python, binary interface and platform."""
        built = next(Path(self.bdist_dir).rglob("_native.so"), None)
        return "py3", "none", super().get_tag()[2] if built else "any"


setup(
    cmdclass={"build_ext": Library, "bdist_wheel": PlatformWheel},
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
    ],
)
