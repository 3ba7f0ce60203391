# Draw a figure in three formats and store the plotted data beside it.


rule figure:
    input:
        data_of_figure,
    output:
        pdf=f"{ROOT}/figures/{{figure}}.pdf",
        svg=report(
            f"{ROOT}/figures/{{figure}}.svg",
            caption="../report/figure.rst",
            category=paper_of_figure,
            subcategory=study_of_figure,
            labels=labels_of_figure,
        ),
        png=f"{ROOT}/figures/{{figure}}.png",
        csv=f"{ROOT}/figures/{{figure}}.csv",
        checksums=f"{ROOT}/figures/{{figure}}.sha256",
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
        request=figure_request,
        asked=asked(figure_request),
        stem=stem,
        code=code_of("figure"),
        caption=caption_of_figure,
        results=results_folder,
    message:
        "figure {wildcards.figure}"
    shell:
        "byzcode figure --request {params.asked:q} --results {params.results} --out {params.stem:q} > {log:q} 2>&1"
