/** The tables of the official plane that an import reads, with their keys and indexes. */

const text = 'varchar';

/** Names, types and keys of the columns that are read, by table; all others may be null here. */
const columnsByTable = {
  actor: `did ${text} PRIMARY KEY, handle ${text}, "indexedAt" ${text}, "takedownRef" ${text}, "upstreamStatus" ${text},
    "trustedVerifier" boolean DEFAULT false, "ageAssuranceStatus" text, "ageAssuranceLastInitiatedAt" ${text},
    "ageAssuranceAccess" text, "ageAssuranceCountryCode" text, "ageAssuranceRegionCode" text`,
  actor_sync: `did ${text} PRIMARY KEY, "commitCid" ${text}, "repoRev" ${text}`,
  actor_state: `did ${text} PRIMARY KEY, "lastSeenNotifs" ${text}, "priorityNotifs" boolean`,
  record: `uri ${text} PRIMARY KEY, cid ${text}, did ${text}, json text, "indexedAt" ${text}, "takedownRef" ${text}, tags jsonb`,
  mute: `"subjectDid" ${text}, "mutedByDid" ${text}, "createdAt" ${text}, "onlyReposts" boolean, "onlyQuoteposts" boolean,
    PRIMARY KEY ("mutedByDid", "subjectDid")`,
  list_mute: `"listUri" ${text}, "mutedByDid" ${text}, "createdAt" ${text}, PRIMARY KEY ("mutedByDid", "listUri")`,
  thread_mute: `"rootUri" ${text}, "mutedByDid" ${text}, "createdAt" ${text}, PRIMARY KEY ("rootUri", "mutedByDid")`,
  blob_takedown: `did ${text}, cid ${text}, "takedownRef" ${text}, PRIMARY KEY (did, cid)`,
  bookmark: `creator ${text}, key ${text}, "subjectUri" ${text}, "subjectCid" ${text}, "indexedAt" ${text},
    PRIMARY KEY (creator, key)`,
  draft: `creator ${text}, key ${text}, "createdAt" ${text}, "updatedAt" ${text}, payload text, PRIMARY KEY (creator, key)`,
  activity_subscription: `creator ${text}, "subjectDid" ${text}, key ${text}, "indexedAt" ${text}, post boolean, reply boolean,
    PRIMARY KEY (creator, key)`,
  private_data: `"actorDid" ${text}, namespace ${text}, key ${text}, payload text, "indexedAt" ${text}, "updatedAt" ${text},
    PRIMARY KEY ("actorDid", namespace, key)`,
  label: `src ${text}, uri ${text}, cid ${text}, val ${text}, neg boolean, cts ${text}, exp ${text},
    PRIMARY KEY (src, uri, cid, val)`,
  suggested_follow: `did ${text}, "order" integer`,
  suggested_feed: `uri ${text}, "order" integer`,
  tagged_suggestion: `tag ${text}, subject ${text}, "subjectType" ${text}`,
  profile_agg: `did ${text} PRIMARY KEY, "followersCount" bigint, "followsCount" bigint, "postsCount" bigint`,
  post_agg: `uri ${text} PRIMARY KEY, "likeCount" bigint, "replyCount" bigint, "repostCount" bigint, "quoteCount" bigint`,
} as const;

/** The SQL that makes the tables in the schema `bsky`. */
export const officialTablesSql = [
  'CREATE SCHEMA bsky;',
  ...Object.entries(columnsByTable).map(([name, columns]) => `CREATE TABLE bsky.${name} (${columns});`),
  'CREATE INDEX ON bsky.record (did);',
].join('\n');
