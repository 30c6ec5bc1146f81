-- technique: returns more than may be returned; must: limit
function run(input)
  return ('x'):rep(3000000)
end
