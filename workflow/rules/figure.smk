# One figure, in three formats, with the plotted data beside it.


def planned_figure(wildcards):
    return PLAN.figures[wildcards.figure]


def data_of_figure(wildcards):
    planned, plot = planned_figure(wildcards)
    kind = planned.study.plots[plot].kind
    if kind == "allocation":
        return [f"{RESULTS}/allocations/{name}.nc" for name in planned.allocation_ids()]
    if kind == "sweep":
        return f"{RESULTS}/summaries/{planned.study.study}.csv"
    return trajectories_of(planned.run_ids(plot))


def figure_request(wildcards):
    planned, plot = planned_figure(wildcards)
    return planned.figure_json(plot)


def study_of_figure(wildcards):
    return planned_figure(wildcards)[0].study.title


def figure_stem(wildcards):
    return f"{RESULTS}/figures/{wildcards.figure}"


rule figure:
    input:
        data_of_figure,
    output:
        pdf=f"{RESULTS}/figures/{{figure}}.pdf",
        svg=report(
            f"{RESULTS}/figures/{{figure}}.svg",
            caption="../report/figure.rst",
            category="Figures",
            subcategory=study_of_figure,
            labels={"figure": "{figure}"},
        ),
        png=f"{RESULTS}/figures/{{figure}}.png",
        csv=f"{RESULTS}/figures/{{figure}}.csv",
    log:
        f"{RESULTS}/logs/figure/{{figure}}.log",
    conda:
        "../envs/byzcode.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        request=figure_request,
        stem=figure_stem,
        code=code_of("figure"),
        results=RESULTS,
    message:
        "figure {wildcards.figure}"
    shell:
        "byzcode figure --request {params.request:q} --results {params.results} --out {params.stem:q} > {log:q} 2>&1"
