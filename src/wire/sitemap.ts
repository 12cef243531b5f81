/** What router and nodes agree on about sitemaps. */

/** Owners of a slot that one sitemap covers; the protocol of sitemaps allows 50,000 URLs. */
export const ownersPerSitemap = 10_000;
