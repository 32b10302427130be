/** The registry alone: the package's index loads OpenTelemetry and default metrics too, which cost 3 MB. */
declare module 'prom-client/lib/registry.js' {
  export { Registry as default } from 'prom-client';
}
