/** The page at "/". Pure. */

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (found) => `&#${found.charCodeAt(0)};`);
}

/** @param base where the depot is */
export function firstPage(base: string, version: string): string {
  const url = escaped(base);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Swarmhaul depot</title>
<style>
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 48rem; margin: 2rem auto; padding: 0 1rem }
</style>
<h1>Swarmhaul depot</h1>
<p>Version ${escaped(version)}. Artifacts go in and out by HTTP, and by BitTorrent.</p>
<pre>
curl -T image.raw ${url}/artifacts/ci/42/image.raw
curl -O ${url}/artifacts/ci/42/image.raw
haul get ci/42/image.raw --depot ${url}
</pre>
<p><a href="/artifacts/">What is stored</a> · <a href="/openapi.json">OpenAPI</a> · <a href="/metrics">Metrics</a> ·
<a href="/readyz">Readiness</a></p>
</html>
`;
}
