# Put all figures on one page, by paper, with the verdicts on their claims.


rule gallery:
    input:
        jobs.figures,
        rules.scorecard.output if CLAIMED else [],
    output:
        html=jobs.file("gallery", "index", "html"),
        checksums=jobs.file("gallery", "index", "sha256"),
    log:
        f"{ROOT}/logs/gallery.log",
    localrule: True
    conda:
        "../envs/byzcode.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        request=jobs.gallery_request,
        argument=jobs.argument(jobs.gallery_request),
        results=jobs.results_folder,
        configured=jobs.configured,
    message:
        "gallery"
    shell:
        "byzcode gallery --request {params.argument:q} --results {params.results} --out {output.html:q} {params.configured} > {log:q} 2>&1"
