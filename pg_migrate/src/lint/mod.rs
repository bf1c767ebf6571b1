//! Hazards of a script, told before it runs: what each statement locks, rewrites and scans here,
//! whom that blocks, and the safe way. Knows: recipes, the catalog and the parser. Must not: change
//! anything, need more rights than its caller has, or run what it judges.
