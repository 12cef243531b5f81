/** The requests that the operators' documents show as `curl` lines. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from './source-scan.ts';

export type CurlLine = {
  readonly listener: 'router' | 'ingest';
  readonly verb: 'GET' | 'POST' | 'DELETE';
  /** Without the query. */
  readonly path: string;
  /** Begins with `?`, or is empty. */
  readonly query: string;
  /** JSON; null for a GET. */
  readonly body: string | null;
  /** As it is in the document. */
  readonly text: string;
};

const pattern =
  /\bcurl (?:-s )?(?:-X (DELETE) )?"\$(ROUTER|INGEST)(\/[^"?]*)(\?[^"]*)?"(?: -H "\$json" -d '([^']*)')?/g;

/** Returns them in order. */
export function curlLines(document: string): CurlLine[] {
  const text = readFileSync(join(projectRoot, document), 'utf8');
  return [...text.matchAll(pattern)].map(([line, verb, listener, path, query = '', body]) => ({
    listener: listener === 'ROUTER' ? 'router' : 'ingest',
    verb: verb === 'DELETE' ? 'DELETE' : body === undefined ? 'GET' : 'POST',
    path: path!,
    query,
    body: body ?? null,
    text: line,
  }));
}
