// Of which sources and flags the library is made: see byzcode.provenance.compiled.

extern "C" const char byzcode_fingerprint[] = BYZCODE_FINGERPRINT;
