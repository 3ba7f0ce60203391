# An empty plan for `snakemake --lint` where byzcode is not installed.


class NoJobs:
    root = "results"
    device = "cpu"
    trained = ()

    class plan:
        studies = claimed = figures = ()

    def __getattr__(self, name):
        return lambda *_: []


jobs = NoJobs()
