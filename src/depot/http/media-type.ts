/**
 * What an artifact is served as. Pure. Its bytes are a stranger's, and come from the depot's own origin: nothing in
 * them may run there, whatever the publisher said they are.
 */

/** `type/subtype` with plain parameters; anything else is not kept. */
const TOKEN = '[a-zA-Z0-9!#$&^_.+-]{1,64}';
const PARAMETER = `[\\t ]*;[\\t ]*${TOKEN}=(?:${TOKEN}|"[A-Za-z0-9 _.+-]{0,64}")`;
const MEDIA_TYPE = new RegExp(`^${TOKEN}/${TOKEN}(?:${PARAMETER}){0,4}$`);
const MEDIA_TYPE_CHARACTERS = 200;
/** What clients say who say nothing: curl --data-binary, forms. */
const MEANINGLESS = /^(?:application\/x-www-form-urlencoded|application\/octet-stream|multipart\/form-data)\b/i;
/** Shown by browsers as it is, and without scripts of any kind. */
const SHOWN = /^(?:text\/(?:plain|csv|markdown)|application\/json|image\/(?:png|jpeg|gif|webp|avif))[\t ]*(?:;|$)/i;

/** As the publisher named it, or null: it says nothing, or is no media type. */
export function keptMediaType(value: string | undefined): string | null {
  const text = value?.trim() ?? '';
  const isKept = text.length <= MEDIA_TYPE_CHARACTERS && MEDIA_TYPE.test(text) && !MEANINGLESS.test(text);
  return isKept ? text : null;
}

/** Headers for the bytes of an artifact. @param fileName last part of its name */
export function safeHeaders(contentType: string | null, fileName: string): Record<string, string> {
  const type = contentType ?? 'application/octet-stream';
  const how = SHOWN.test(type) ? 'inline' : 'attachment';
  const plain = fileName.replace(/[^A-Za-z0-9 ._()+-]/g, '_');
  const encoded = encodeURIComponent(fileName).replace(/['()*!]/g, (found) => `%${found.charCodeAt(0).toString(16)}`);
  return {
    'content-type': type,
    'content-disposition': `${how}; filename="${plain}"; filename*=UTF-8''${encoded}`,
    'x-content-type-options': 'nosniff',
    'content-security-policy': "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    'cross-origin-resource-policy': 'same-origin',
  };
}
