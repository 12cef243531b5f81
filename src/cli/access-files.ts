/** Tokens and certificates of the cluster, from the files that settings and map name. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { readTokenFile } from '../config/secret-file.ts';
import type { Settings } from '../config/settings.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import { readMapFile } from './map-file.ts';

/** What a server shows and asks for. */
export type AccessTokens = { readonly adminToken: string | null; readonly clusterToken: string | null };

/** Returns the tokens of a server: the files of the flags, else those of the map. Errors: DataPlaneError `ConfigInvalid`. */
export function readAccessTokens(settings: Settings, map: ShardMap): AccessTokens {
  return {
    adminToken: readTokenFile(settings.adminTokenFile ?? map.adminTokenFile, 'admin token file'),
    clusterToken: readTokenFile(settings.clusterTokenFile ?? map.clusterTokenFile, 'cluster token file'),
  };
}

/** Returns the token that a command shows: of the flag, else of the map that runs on the data folder. */
export function readClientToken(settings: Settings): string | null {
  const mapPath = join(settings.dataDir, 'shard-map.json');
  const path = settings.adminTokenFile ?? (existsSync(mapPath) ? readMapFile(mapPath).map.adminTokenFile : null);
  return readTokenFile(path, 'admin token file');
}

/** Returns the certificate that nodes of this map show, or null when they speak plainly. */
export function readTrustedCertificates(map: ShardMap): Buffer | null {
  if (map.tls === null) return null;
  try {
    return readFileSync(map.tls.certFile);
  } catch (cause) {
    throw new DataPlaneError('ConfigInvalid', `shard map: tls.certFile: ${(cause as Error).message}`, { cause });
  }
}
