# Test the claims under other readings of the papers: one job per reading, then tables and a figure of all.


rule reading:
    input:
        ancient(jobs.data_of_readings),
    output:
        table=jobs.file("reading", "{reading}", "csv"),
        checksums=jobs.file("reading", "{reading}", "sha256"),
    log:
        f"{ROOT}/logs/multiverse/{{reading}}.log",
    conda:
        "../envs/byzcode.yaml"
    threads: 1
    resources:
        mem_mb=jobs.memory,
        runtime=jobs.minutes,
    params:
        request=jobs.reading_request,
        argument=jobs.argument(jobs.reading_request),
        data=jobs.data_folder,
    message:
        "reading {wildcards.reading}"
    shell:
        "byzcode reading --request {params.argument:q} --out {output.table:q} --data {params.data:q} > {log:q} 2>&1"


rule multiverse:
    input:
        jobs.readings_of_multiverse,
    output:
        jobs.multiverse_files,
        svg=report(
            jobs.file("multiverse", "multiverse", "svg"),
            caption="../report/multiverse.rst",
            category="Readings (multiverse)",
        ),
        checksums=jobs.file("multiverse", "multiverse", "sha256"),
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
        request=jobs.multiverse_request,
        argument=jobs.argument(jobs.multiverse_request),
        results=jobs.results_folder,
    message:
        "multiverse"
    shell:
        "byzcode multiverse --request {params.argument:q} --results {params.results} > {log:q} 2>&1"
