# Draw a figure in three formats and store the plotted data beside it.


rule figure:
    input:
        jobs.data_of_figure,
    output:
        pdf=jobs.file("figure", "{figure}", "pdf"),
        svg=report(
            jobs.file("figure", "{figure}", "svg"),
            caption="../report/figure.rst",
            category=jobs.paper_of_figure,
            subcategory=jobs.study_of_figure,
            labels=jobs.labels_of_figure,
        ),
        png=jobs.file("figure", "{figure}", "png"),
        csv=jobs.file("figure", "{figure}", "csv"),
        checksums=jobs.file("figure", "{figure}", "sha256"),
    log:
        f"{ROOT}/logs/figure/{{figure}}.log",
    localrule: True
    conda:
        "../envs/byzcode.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        request=jobs.figure_request,
        argument=jobs.argument(jobs.figure_request),
        stem=jobs.figure_stem,
        caption=jobs.caption_of_figure,
        results=jobs.results_folder,
    message:
        "figure {wildcards.figure}"
    shell:
        "byzcode figure --request {params.argument:q} --results {params.results} --out {params.stem:q} > {log:q} 2>&1"
