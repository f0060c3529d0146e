import type { Site } from "./site.ts";

/**
 * For the paths that sites take in any case: the URL as their route writes it. The letters of what a name after a colon
 * stands for, and of the query, stay as they came; one slash at the end is dropped. Other URLs are given back as they are.
 */
export function anyCase(sites: readonly Site[]): (url: string) => string {
  const paths = new Set(sites.flatMap(({ routes }) => routes.filter((route) => route.anyCase).map(({ path }) => path)));
  const known = [...paths].map((path) => path.split("/"));
  const longest = Math.max(0, ...known.map((segments) => segments.length));
  return (url) => {
    const end = url.indexOf("?");
    const path = end < 0 ? url : url.slice(0, end);
    const given = (path.endsWith("/") ? path.slice(0, -1) : path).split("/", longest + 1);
    const route = known.find((segments) => fits(segments, given));
    if (!route) return url;
    const written = route.map((segment, index) => (isName(segment) ? given[index]! : segment));
    return written.join("/") + url.slice(path.length);
  };
}

function fits(segments: readonly string[], given: readonly string[]): boolean {
  if (segments.length !== given.length) return false;
  return segments.every((segment, index) => isName(segment) || segment.toLowerCase() === given[index]!.toLowerCase());
}

function isName(segment: string): boolean {
  return segment.startsWith(":");
}
