/** The counter-test of the oracle: answers with an error in each. */
import type { DataPlaneClient } from '@atproto/bsky';
import type { Message } from '@bufbuild/protobuf';
import type { MethodName } from './method-row.ts';

/**
 * Makes a client whose answers have one error each, to prove that the oracle notices it.
 *
 * Refusals, empty answers and page tokens, which are followed and not compared, pass unchanged.
 */
export function tamperedClient(client: DataPlaneClient): DataPlaneClient {
  return new Proxy(client, {
    get(target, name) {
      const call = target[name as MethodName] as unknown as (request: object) => Promise<Message>;
      return async (request: object) => {
        const answer = await call(request);
        const json = answer.toJson() as Record<string, unknown>;
        return { toJson: () => tamper(json) };
      };
    },
  });
}

function tamper(answer: Record<string, unknown>): unknown {
  const { cursor, ...fields } = answer;
  const { value } = changeFirstLeaf(fields);
  return { ...(value as Record<string, unknown>), ...(cursor === undefined ? {} : { cursor }) };
}

/** Changes the last item of a list, and the first leaf of anything else. */
function changeFirstLeaf(value: unknown): { readonly value: unknown; readonly changed: boolean } {
  if (Array.isArray(value)) {
    return value.length === 0 ? { value, changed: false } : { value: value.slice(0, -1), changed: true };
  }
  if (typeof value === 'string' || typeof value === 'number') return { value: `${value}0`, changed: true };
  if (typeof value === 'boolean') return { value: !value, changed: true };
  if (typeof value !== 'object' || value === null) return { value, changed: false };
  const copy: Record<string, unknown> = { ...value };
  for (const [key, inner] of Object.entries(copy)) {
    const outcome = changeFirstLeaf(inner);
    if (!outcome.changed) continue;
    copy[key] = outcome.value;
    return { value: copy, changed: true };
  }
  return { value, changed: false };
}
