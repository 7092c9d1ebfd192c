/** The page before its scripts fill it. Pure text: nothing of a stranger is ever put in here. */

const HEAD = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Swarmhaul</title>
<link rel="icon" href="/page/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/page/style.css">
<script type="module" src="/page/app.js"></script>
</head>
`;

const TOP = `<body>
<a class="skip" href="#stored">To what is stored</a>
<header>
<h1><span id="kind">Swarmhaul</span> <small id="version"></small></h1>
<p><span id="link" class="state">connecting</span> <button type="button" id="token-button">Token</button></p>
</header>
<noscript><p>This page needs scripts. Without them: <a href="/artifacts/">what is stored</a>, as JSON.</p></noscript>
<main>
<p id="said" role="status" aria-live="polite"></p>
<section aria-labelledby="figures-title">
<h2 id="figures-title">Now</h2>
<dl id="figures"></dl>
<p id="disk-text"></p>
<div class="bar" aria-hidden="true"><span id="disk-own"></span></div>
</section>
`;

const MOVES = `<section aria-labelledby="moves-title">
<h2 id="moves-title">What moves</h2>
<form id="upload">
<p><label for="upload-prefix">Publish below</label>
<input id="upload-prefix" type="text" placeholder="ci/42" maxlength="900" autocomplete="off" spellcheck="false">
<label for="upload-files">files</label> <input id="upload-files" type="file" multiple></p>
<p class="hint">Or drop files anywhere on the page.</p>
</form>
<ul id="own-uploads" aria-label="Uploads of this page"></ul>
<ul id="uploads" aria-label="What comes in"></ul>
<p id="moves-none">Nothing comes in, and no torrent is awake.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Torrents that are awake" id="torrents-box" hidden>
<table><thead><tr><th scope="col">Torrent</th><th scope="col">Peers</th><th scope="col">Here</th><th scope="col">In</th>
<th scope="col">Out</th><th scope="col">Who has what</th></tr></thead><tbody id="torrents"></tbody></table>
</div>
<div id="map" hidden>
<h3 id="map-title">Who has what</h3>
<canvas id="map-canvas" width="640" height="40" role="img"
aria-labelledby="map-title" aria-describedby="map-text"></canvas>
<ul id="map-text"></ul>
<button type="button" id="map-close">Close</button>
</div>
</section>
`;

const STORED = `<section aria-labelledby="stored-title" id="stored" tabindex="-1">
<h2 id="stored-title">What is stored</h2>
<form id="search-form" role="search">
<label for="search">Search</label>
<input id="search" type="search" maxlength="100" autocomplete="off" spellcheck="false">
</form>
<div class="scroll" tabindex="0" role="region" aria-label="Table of names">
<table><thead><tr><th scope="col">Name</th><th scope="col">Size</th><th scope="col">Age</th><th scope="col">Goes</th>
<th scope="col">Do</th></tr></thead><tbody id="rows"></tbody></table>
</div>
<p id="rows-none" hidden></p>
<p class="pages"><button type="button" id="page-before" disabled>Before</button>
<span id="page-text"></span>
<button type="button" id="page-after" disabled>After</button></p>
</section>
`;

const REST = `<section aria-labelledby="next-title">
<h2 id="next-title">What goes next</h2>
<ol id="next"></ol>
<p id="next-none">Nothing has a time to go.</p>
</section>
<section aria-labelledby="problems-title">
<h2 id="problems-title">What went wrong</h2>
<ul id="problems"></ul>
<p id="problems-none">Nothing lately.</p>
</section>
</main>
<footer><p>
<span id="depot-links"><a href="/artifacts/">JSON</a> · <a href="/openapi.json">OpenAPI</a> · </span>
<a href="/metrics">Metrics</a> ·
<a href="/readyz">Readiness</a></p></footer>
`;

const DIALOGS = `<dialog id="token-dialog" aria-labelledby="token-title">
<form id="token-form" method="dialog">
<h2 id="token-title">Token</h2>
<p id="token-why">It is kept for this tab alone, until that is closed.</p>
<p><label for="token">Token</label> <input id="token" type="password" autocomplete="off" maxlength="512"></p>
<p><button type="submit" value="use">Use it</button> <button type="submit" value="drop">Go without</button>
<button type="submit" value="cancel" formnovalidate>Cancel</button></p>
</form>
</dialog>
<dialog id="ask-dialog" aria-labelledby="ask-title">
<form method="dialog">
<h2 id="ask-title"></h2>
<p id="ask-text"></p>
<p><button type="submit" value="yes" id="ask-yes"></button>
<button type="submit" value="no" autofocus>Cancel</button></p>
</form>
</dialog>
</body>
</html>
`;

export const PAGE_HTML = HEAD + TOP + MOVES + STORED + REST + DIALOGS;
