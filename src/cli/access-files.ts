/** Tokens and certificates of the cluster, read from the files that settings and map name. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { requireEncryptionForKey } from '../config/access-token.ts';
import { readKeyFile, readTokenFile } from '../config/secret-file.ts';
import { flagOf } from '../config/setting-table.ts';
import type { Settings } from '../config/settings.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import { readMapFile } from './map-file.ts';

export type AccessTokens = {
  readonly adminToken: string | null;
  readonly clusterToken: string | null;
  readonly viewToken: string | null;
};

/** Reads a server's tokens from the flags' files, else the map's. Errors: `ConfigInvalid`. */
export function readAccessTokens(settings: Settings, map: ShardMap): AccessTokens {
  return {
    adminToken: readTokenFile(settings.adminTokenFile ?? map.adminTokenFile, 'admin token file'),
    clusterToken: readTokenFile(settings.clusterTokenFile ?? map.clusterTokenFile, 'cluster token file'),
    viewToken: readTokenFile(settings.viewTokenFile, 'view token file'),
  };
}

/** Reads a command's token from the flag's file, else from that of the map in the data folder. */
export function readClientToken(settings: Settings): string | null {
  const mapPath = join(settings.dataDir, 'shard-map.json');
  const path = settings.adminTokenFile ?? (existsSync(mapPath) ? readMapFile(mapPath).map.adminTokenFile : null);
  return readTokenFile(path, 'admin token file');
}

/** Returns where bsync is and its key, or null for none. Errors: DataPlaneError `ConfigInvalid`. */
export function readBsyncAccess({
  bsyncUrl: url,
  bsyncKeyFile,
  allowCleartextBsync,
}: Settings): { readonly url: string; readonly key: string | null } | null {
  if (url === null) return null;
  if (bsyncKeyFile !== null && !allowCleartextBsync)
    requireEncryptionForKey(url, { keyFlag: flagOf('bsyncKeyFile'), allowFlag: flagOf('allowCleartextBsync') });
  return { url, key: readKeyFile(bsyncKeyFile, 'bsync key file') };
}

/** Returns the certificate that the map's nodes present, or null when they do not use TLS. */
export function readTrustedCertificates(map: ShardMap): Buffer | null {
  if (map.tls === null) return null;
  try {
    return readFileSync(map.tls.certFile);
  } catch (cause) {
    throw new DataPlaneError('ConfigInvalid', `shard map: tls.certFile: ${(cause as Error).message}`, { cause });
  }
}
