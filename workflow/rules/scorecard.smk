# Put all claims with their verdicts on one page.


rule scorecard:
    input:
        expand(rules.claims.output, study=CLAIMED),
        jobs.figures_of_claims,
    output:
        html=report(
            jobs.file("scorecard", "scorecard", "html"),
            caption="../report/scorecard.rst",
            category="Scorecard",
        ),
        csv=jobs.file("scorecard", "scorecard", "csv"),
        checksums=jobs.file("scorecard", "scorecard", "sha256"),
    log:
        f"{ROOT}/logs/scorecard.log",
    localrule: True
    conda:
        "../envs/byzcode.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        request=jobs.scorecard_request,
        argument=jobs.argument(jobs.scorecard_request),
        results=jobs.results_folder,
        stem=jobs.scorecard_stem,
        configured=jobs.configured,
    message:
        "scorecard"
    shell:
        "byzcode scorecard --request {params.argument:q} --results {params.results} --out {params.stem:q} {params.configured} > {log:q} 2>&1"
