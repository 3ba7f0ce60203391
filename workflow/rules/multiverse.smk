# Test the claims under other readings of the papers: one job per reading, then tables and a figure of all.


rule reading:
    output:
        table=f"{ROOT}/multiverse/readings/{{reading}}.csv",
        checksums=f"{ROOT}/multiverse/readings/{{reading}}.sha256",
    log:
        f"{ROOT}/logs/multiverse/{{reading}}.log",
    conda:
        "../envs/byzcode.yaml"
    threads: 1
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        request=reading_request,
        asked=asked(reading_request),
        code=code_of("reading"),
    message:
        "reading {wildcards.reading}"
    shell:
        "byzcode reading --request {params.asked:q} --out {output.table:q} > {log:q} 2>&1"


rule multiverse:
    input:
        readings_of_multiverse,
    output:
        expand(f"{ROOT}/multiverse/{{table}}.csv", table=MULTIVERSE),
        expand(f"{ROOT}/multiverse/multiverse.{{suffix}}", suffix=["pdf", "png", "csv"]),
        svg=report(
            f"{ROOT}/multiverse/multiverse.svg",
            caption="../report/multiverse.rst",
            category="Multiverse",
        ),
        checksums=f"{ROOT}/multiverse/multiverse.sha256",
    log:
        f"{ROOT}/logs/multiverse.log",
    localrule: True
    conda:
        "../envs/byzcode.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        request=multiverse_request,
        asked=asked(multiverse_request),
        code=code_of("multiverse"),
        results=results_folder,
    message:
        "multiverse"
    shell:
        "byzcode multiverse --request {params.asked:q} --results {params.results} > {log:q} 2>&1"
