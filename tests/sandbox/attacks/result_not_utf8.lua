-- technique: returns bytes that are no text; must: error
function run(input)
  return {'\xff\xfe'}
end
