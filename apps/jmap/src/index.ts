/** JMAP for the HTTPS door. The part that needs no door, and runs in a browser too, is behind `@restante/jmap/api`. */
export type { MethodCall } from "./core/request.ts";
export { type JmapOptions, jmapSite } from "./door/site.ts";
