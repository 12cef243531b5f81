/**
 * The page of a listener, at `/`, and the socket of its data.
 *
 * Owns: that the page loads nothing from elsewhere and is shown in no frame. The page itself says
 * nothing of a cluster, so anyone who reaches the listener may load it.
 */
import type { Clock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { isLoopback } from '../config/access-token.ts';
import { Exchange } from '../http/exchange.ts';
import type { Listener } from '../http/json-server.ts';
import { type LiveHost, LiveSockets, type ViewAccess } from './live-socket.ts';
import { pageFiles } from './page-files.ts';

const policy =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src data:; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const nameByPath = { '/': 'index.html', '/dashboard/page.js': 'page.js', '/dashboard/page.css': 'page.css' } as const;

/** Returns who may watch a listener with these tokens. */
export function viewAccess(host: string, viewToken: string | null, others: readonly (string | null)[]): ViewAccess {
  if (viewToken !== null) {
    if (others.includes(viewToken)) {
      throw new DataPlaneError('ConfigInvalid', 'the view token must not be the admin or the cluster token');
    }
    return { kind: 'token', token: viewToken };
  }
  const isOpen = isLoopback(host) && others.every((token) => token === null);
  if (isOpen) return { kind: 'open' };
  return { kind: 'closed', why: 'start the server with --view-token-file, whose token opens this page' };
}

function sendFile(exchange: Exchange, name: string, acceptsGzip: boolean): void {
  pageFiles().then(
    (files) => {
      const { type, plain, zipped } = files.get(name)!;
      exchange.answer((response) => {
        response.writeHeader('content-type', type);
        response.writeHeader('content-security-policy', policy);
        response.writeHeader('x-content-type-options', 'nosniff');
        response.writeHeader('cache-control', 'no-cache');
        if (acceptsGzip) response.writeHeader('content-encoding', 'gzip');
        response.end(acceptsGzip ? zipped : plain);
      });
    },
    (thrown: unknown) => exchange.sendError(thrown),
  );
}

/** Serves the page and its data. Dispose of what it returns before the server closes. */
export function attachDashboard(
  { app, pages, connections }: Listener,
  { host, access, clock }: { readonly host: LiveHost; readonly access: ViewAccess; readonly clock: Clock },
): Disposable {
  for (const [path, name] of Object.entries(nameByPath)) {
    app.get(path, (response, request) => {
      const exchange = new Exchange(response);
      const refusal = pages.hostRefusal(request.getHeader('host'));
      if (refusal !== null) return exchange.sendError(refusal, true);
      sendFile(exchange, name, request.getHeader('accept-encoding').includes('gzip'));
    });
  }
  const sockets = new LiveSockets({ host, access, pages, onUpgraded: () => connections.upgraded(), clock });
  sockets.attachTo(app);
  return sockets;
}
