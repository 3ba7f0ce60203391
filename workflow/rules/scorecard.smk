# Put all claims with their verdicts on one page.


rule scorecard:
    input:
        expand(rules.claims.output, study=CLAIMED),
    output:
        html=report(
            f"{ROOT}/scorecard.html",
            caption="../report/scorecard.rst",
            category="Scorecard",
        ),
        csv=f"{ROOT}/scorecard.csv",
        checksums=f"{ROOT}/scorecard.sha256",
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
        request=scorecard_request,
        asked=asked(scorecard_request),
        code=code_of("scorecard"),
        results=results_folder,
        stem=scorecard_stem,
    message:
        "scorecard"
    shell:
        "byzcode scorecard --request {params.asked:q} --results {params.results} --out {params.stem:q} > {log:q} 2>&1"
