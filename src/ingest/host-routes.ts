/** The operators' endpoints about hosts: block, unblock, limit, list. */
import * as v from 'valibot';
import { objectShape, wholeNumberShape } from '../config/json-shape.ts';
import { getRoute, type JsonRoute, postRoute } from '../http/json-route.ts';
import { type HostPolicy, hostOfUrl } from './host-policy.ts';

/** Hosts in one answer. */
const hostsShown = 1_000;

const hostMessage = 'must be a host, or an http(s) URL without a path';
/** A host as DID documents name it, with or without `https://`, and nothing after it. */
const hostShape = v.pipe(
  v.string(hostMessage),
  v.regex(/^(https?:\/\/)?([a-z\d_]([\w-]*\w)?(\.\w([\w-]*\w)?)*|\[[\da-f:.]+\])(:\d{1,5})?\/?$/i, hostMessage),
  v.transform((text) => hostOfUrl(/^https?:\/\//i.test(text) ? text : `https://${text}`)),
  v.string(hostMessage),
);
/** Absent leaves a limit as it is, null ends it. */
const rateShape = v.optional(v.nullable(wholeNumberShape(1, 1_000_000)));

const hostBody = objectShape({ host: hostShape });
const limitBody = objectShape({ host: hostShape, eventsPerSecond: rateShape, requestsPerSecond: rateShape });

/** Returns every endpoint about hosts. */
export function hostRoutes(hosts: HostPolicy): JsonRoute[] {
  return [
    getRoute('/v1/hosts', () => ({ hosts: hosts.list(hostsShown) })),
    postRoute('/v1/host/block', hostBody, ({ host }) => hosts.change(host, { isBlocked: true })),
    postRoute('/v1/host/unblock', hostBody, ({ host }) => hosts.change(host, { isBlocked: false })),
    postRoute('/v1/host/limit', limitBody, ({ host, eventsPerSecond, requestsPerSecond }) =>
      hosts.change(host, {
        ...(eventsPerSecond === undefined ? {} : { eventsPerSecond }),
        ...(requestsPerSecond === undefined ? {} : { requestsPerSecond }),
      }),
    ),
  ];
}
