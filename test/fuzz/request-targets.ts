/** Targets of what callers of the router send: bodies in both encodings, and page tokens. */
import { decodeMessage, encodeMessage, methodByName } from '../../src/proto/codec.ts';
import { messageFromJson, messageToJson } from '../../src/proto/json.ts';
import { decodeKeyToken, decodePageToken } from '../../src/proto/page-token.ts';
import { walkFrom } from '../../src/read/lookup/page.ts';
import { type FuzzTarget, mustHold, pureTarget, refusedOr, type Sightings } from './fuzz-target.ts';
import { type HostileBody, hostileBodies, tokens } from './hostile-requests.ts';
import { showBytes } from './hostile-values.ts';

function checkBody({ method, body }: HostileBody, seen: Sightings): void {
  const { request } = methodByName.get(method)!;
  const message = refusedOr(seen, 'protobuf', () => decodeMessage(request, body));
  if (message !== undefined) {
    messageToJson(request, message);
    encodeMessage(request, message as never);
  }
  const fromJson = refusedOr(seen, 'json', () => messageFromJson(request, body.toString('utf8')));
  if (fromJson === undefined) return;
  const again = refusedOr(seen, 'json again', () => decodeMessage(request, fromJson));
  mustHold(again !== undefined, 'JSON becomes a readable message');
}

function checkToken(token: string, seen: Sightings): void {
  const position = decodePageToken(token, 1_024);
  seen.add(position === undefined ? 'token refused' : 'token read');
  if (position !== undefined) mustHold(position.rest.length <= 1_024, 'the rest of a token is bounded');
  const rest = decodeKeyToken(token, 1_024);
  if (rest !== undefined) mustHold(rest.length <= 1_024, 'a key of a token is bounded');
  const walk = refusedOr(seen, 'walk', () => walkFrom(Buffer.from([0, 0, 0, 1, 7]), token, 'cursor'));
  // LMDB throws for longer keys.
  if (walk !== undefined) mustHold(walk.start.length <= 1_978, 'a token makes a key that LMDB takes');
}

/** Targets of what callers send. */
export const requestTargets: readonly FuzzTarget[] = [
  pureTarget(
    {
      name: 'bodies',
      share: 1,
      expectedRuns: 1000,
      expected: ['protobuf read', 'protobuf refused', 'json read', 'json refused'],
    },
    hostileBodies(),
    checkBody,
    ({ method, body }) => `${method} ${showBytes(body)}`,
  ),
  pureTarget(
    { name: 'tokens', share: 1, expectedRuns: 1000, expected: ['token read', 'token refused', 'walk read'] },
    tokens,
    checkToken,
    (token) => showBytes(Buffer.from(token)),
  ),
];
