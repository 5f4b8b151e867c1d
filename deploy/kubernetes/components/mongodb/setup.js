/* mongosh runs this beside the first member. While a server has no accounts, whoever connects from localhost may
 * make the first one and do nothing else. That first one is `admin`, and `admin` then does the rest. */
const fs = require("fs");
const secret = (name) => fs.readFileSync(`/run/mongodb-server/${name}`, "utf8").trim();
const options = "tls=true&tlsCAFile=/run/mongodb-server/ca.pem&directConnection=true";
const members = Array.from({length: Number(process.env.MEMBERS)}, (_, i) => ({
    _id: i,
    host: `mongodb-${i}.mongodb:27017`,
    priority: i === 0 ? 2 : 1,
}));

function connect_as(login) {
    return new Mongo(`mongodb://${login}localhost:27017/?${options}`).getDB("admin");
}

function wait_for_primary(admin) {
    for (let i = 0; i < 60 && !admin.hello().isWritablePrimary; i++) sleep(1000);
    if (!admin.hello().isWritablePrimary) throw new Error("this member does not become primary");
}

function connect_as_admin() {
    const nobody = connect_as("");
    if (!nobody.hello().setName) {
        const set = {_id: "rs0", members: members.slice(0, 1)};
        const answer = nobody.adminCommand({replSetInitiate: set});
        if (!answer.ok) throw new Error(answer.errmsg);
    }
    wait_for_primary(nobody);
    const login = `admin:${encodeURIComponent(secret("admin"))}@`;
    try {
        const admin = connect_as(login); /* mongosh awaits an assignment, but not what is returned */
        return admin;
    } catch (refused) {
        if (refused.code !== 18) throw refused; /* AuthenticationFailed: there is no such account yet */
        nobody.createUser({user: "admin", pwd: secret("admin"), roles: ["root"]});
        return connect_as(login);
    }
}

/* The server takes one new member at a time. One that cannot be reached yet ends this with an error, and
 * `setup` tries again. */
function add_members(admin) {
    const config = admin.adminCommand({replSetGetConfig: 1}).config;
    for (const member of members) {
        if (config.members.some((known) => known.host === member.host)) continue;
        config.members.push(member);
        config.version++;
        const answer = admin.adminCommand({replSetReconfig: config});
        if (!answer.ok) throw new Error(answer.errmsg);
    }
}

const admin = connect_as_admin();
add_members(admin);
const roles = ["tapedeck", "videos", "mp3s"].map((db) => ({role: "readWrite", db}));
const account = {pwd: secret("tapedeck"), roles};
if (admin.getUser("tapedeck") === null) admin.createUser({user: "tapedeck", ...account});
else admin.updateUser("tapedeck", account);
print("replica set and accounts are as they should be");
