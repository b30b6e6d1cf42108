// The pool's keys, fetched once, and the check of a token, as the replaced stack did it.
const jsonwebtoken = require("jsonwebtoken");
const jwkToPem = require("jwk-to-pem");

exports.fetchKeys = async () => {
  const { keys } = await (await fetch(process.env.JWKS_URL)).json();
  const pems = Object.fromEntries(keys.map((key) => [key.kid, jwkToPem(key)]));
  return (token) => {
    const { kid } = jsonwebtoken.decode(token, { complete: true }).header;
    return jsonwebtoken.verify(token, pems[kid], { algorithms: ["RS256"], issuer: process.env.ISSUER });
  };
};
