/** OpenAPI 3.1 of the routes: made of the table that serves them, with the schemas that check them. */
import { z } from 'zod';
import { DEPOT_HTTP_LIMITS } from './limits.js';
import { STATUS_TITLES } from './problems.js';
import type { AnswerDoc, Operation, Route } from './route.js';
import { SCHEMAS } from './schemas.js';
import { type Anonymous, needsToken } from './tokens.js';

type Json = Record<string, unknown>;

const ANY_TEXT = z.string();

/** @param io what is sent to us ('input'), or what comes out of the check ('output': numbers are numbers) */
function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io,
    target: 'draft-2020-12',
    unrepresentable: 'any',
  }) as Json;
  return rest;
}

function queryParameters(query: z.ZodObject): Json[] {
  return Object.entries(query.shape).map(([name, field]) => {
    const schema = field as z.ZodType;
    const { description, ...rest } = schemaOf(schema, 'output');
    // What comes out of a flag is a boolean, what goes in is a word.
    const shown = Object.keys(rest).length === 0 ? { type: 'string', enum: ['true', 'false'] } : rest;
    return { name, in: 'query', required: false, description: description ?? schema.description ?? '', schema: shown };
  });
}

function parametersOf(route: Route, { query, told, headers = {} }: Operation): Json[] {
  const path = Object.entries(route.params).map(([name, { schema, description }]) => {
    return { name, in: 'path', required: true, description, schema: schemaOf(schema, 'output') };
  });
  const fields = Object.entries(headers).map(([name, doc]) => {
    const { description, schema = ANY_TEXT } = typeof doc === 'string' ? { description: doc } : doc;
    return { name, in: 'header', required: false, description, schema: schemaOf(schema, 'input') };
  });
  const words = query ?? told;
  return [...path, ...(words === undefined ? [] : queryParameters(words)), ...fields];
}

function answerOf({ description, type, schema, others = {}, links }: AnswerDoc): Json {
  if (type === undefined) return { description };
  const shapes = Object.entries({ [type]: schema ?? null, ...others }).map(([media, name]) => {
    return [media, name === null ? {} : { schema: { $ref: `#/components/schemas/${name}` } }];
  });
  const next = Object.entries(links ?? {}).map(([operationId, parameters]) => {
    return [operationId, { operationId, parameters }];
  });
  const content = Object.fromEntries(shapes);
  return { description, content, ...(links === undefined ? {} : { links: Object.fromEntries(next) }) };
}

const TOKENS = [{ bearer: [] }, { basic: [] }];

/** Nothing: as the whole document has it. */
function securityOf({ scope }: Operation, anonymous: Anonymous): Json {
  if (scope === null) return { security: [] };
  return { ...(needsToken(anonymous, scope) ? { security: TOKENS } : {}), 'x-scope': scope };
}

function operationOf(route: Route, operation: Operation, anonymous: Anonymous): Json {
  const { id, summary, takesBody, answers } = operation;
  const body = { required: false, content: { 'application/octet-stream': { schema: {} } } };
  return {
    operationId: id,
    summary,
    ...securityOf(operation, anonymous),
    parameters: parametersOf(route, operation),
    ...(takesBody === true ? { requestBody: body } : {}),
    responses: Object.fromEntries(Object.entries(answers).map(([status, doc]) => [status, answerOf(doc)])),
  };
}

/** HEAD is GET without bytes: its problems have none, either. */
function headOf(route: Route, operation: Operation, anonymous: Anonymous): Json {
  const bare = Object.entries(operation.answers).map(([status, { description }]) => [status, { description }]);
  return {
    ...operationOf(route, { ...operation, id: `${operation.id}Head` }, anonymous),
    summary: `${operation.summary}: the head alone`,
    responses: Object.fromEntries(bare),
  };
}

function itemOf(route: Route, anonymous: Anonymous): Json {
  const { GET, PUT, DELETE } = route.operations;
  return {
    ...(GET === undefined ? {} : { get: operationOf(route, GET, anonymous) }),
    ...(GET === undefined ? {} : { head: headOf(route, GET, anonymous) }),
    ...(PUT === undefined ? {} : { put: operationOf(route, PUT, anonymous) }),
    ...(DELETE === undefined ? {} : { delete: operationOf(route, DELETE, anonymous) }),
  };
}

/** @param anonymous what is permitted without a token: what needs one is told. @param title of whose door it is */
export function openApi(routes: readonly Route[], version: string, anonymous: Anonymous, title: string): Json {
  const titles = Object.entries(STATUS_TITLES).map(([status, title]) => `${status} ${title}`);
  return {
    openapi: '3.1.0',
    info: {
      title,
      version,
      description:
        'Artifacts by name, over HTTP and BitTorrent. Names have slashes: in the URL they stay as they are. ' +
        `A listing has at most ${DEPOT_HTTP_LIMITS.listRows} names. Problems: ${titles.join('; ')}.`,
    },
    security: [{}, ...TOKENS],
    paths: Object.fromEntries(routes.map((route) => [route.template, itemOf(route, anonymous)])),
    components: {
      schemas: Object.fromEntries(Object.entries(SCHEMAS).map(([name, schema]) => [name, schemaOf(schema, 'output')])),
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        basic: { type: 'http', scheme: 'basic', description: 'the token as password, any user' },
      },
    },
  };
}
