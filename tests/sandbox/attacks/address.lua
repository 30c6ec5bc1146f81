-- technique: asks for an address; must: error
function run(input)
  return ('%p'):format({})
end
